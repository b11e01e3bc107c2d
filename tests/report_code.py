"""The page's code of a policy, run: it must set what the implementation's own functions set."""

from compare.report import code
from compare.spec import POLICIES


def audit_of_shown_code(side, framework, policy, make_model):
    """Run the code that the page shows for a policy on a model; return its audit and that of the real functions."""
    shown = dict(vars(side.bn_policy))
    exec(code._with_facts(POLICIES[policy], framework), shown)
    facts = side.bn_policy.Policy(**POLICIES[policy].facts)
    audits = []
    for apply in (shown["apply"], side.bn_policy.apply):
        model = make_model()
        apply(model, facts)
        audits.append(side.bn_policy.audit(model))
    return audits
