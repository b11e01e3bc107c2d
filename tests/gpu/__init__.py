"""What needs an accelerator: `make test-gpu`."""
