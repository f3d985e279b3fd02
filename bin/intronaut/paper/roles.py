"""What a model is in the claims of the paper, by its model.json."""

NETWORKS = ("fsei", "dnabert2", "basset", "basenji", "attentionconv")


def role(notes: dict) -> str:
    """``sei logistic all``, ``dnabert2``, ``basset`` …; ``""`` for a model that no claim speaks of."""
    if not notes:
        return ""
    kind, tool = notes.get("kind", ""), notes.get("features", {}).get("tool", "")
    if tool == "embed_sei":
        group = notes.get("feature_group", "all").removeprefix("kind=")
        return f"sei {kind} {group}"
    if tool == "embed_dnabert2":
        return "dnabert2"
    return next((name for name in NETWORKS if name in kind), "")
