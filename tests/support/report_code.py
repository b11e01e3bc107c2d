"""The page's code of a policy, run: it must set what the implementation's own functions set."""

from compare.report import code
from compare.spec import POLICIES
from tests.support.observed_audit import audit
from tests.support.policy_checks import batches


def audits(side, framework, policy, model):
    """Set a policy by the code that the page shows, and by the real functions; return the audits of both."""
    shown = dict(vars(side.bn_policy))
    exec(code.with_facts(POLICIES[policy], framework), shown)
    found = []
    for apply in (shown["apply"], side.bn_policy.apply):
        other = "frozen" if POLICIES[policy].trains != "head" else "fine-tune"
        side.bn_policy.apply(model, _facts(side, other))  # so that nothing is as it should be already
        apply(model, _facts(side, policy))
        found.append(audit(side, model, batches()[0]))
    return found


def _facts(side, policy):
    return side.bn_policy.Policy(**POLICIES[policy].facts)
