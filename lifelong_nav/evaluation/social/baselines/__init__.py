"""The planners our stack is measured against; names in `evaluation.social.planner.PLANNERS`."""
