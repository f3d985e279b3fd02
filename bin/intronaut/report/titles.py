"""What models are called, so that no two have one name."""

from intronaut.report.study import Model


def titles(models: list[Model]) -> dict[str, str]:
    """What each model is called in prose and tables, by its name.

    By its features alone, where several kinds of model read those also by the kind, and where that tells nothing apart
    also by the folder: ``motifs``, ``k-mers, lightgbm``, ``k-mers, logistic (6mers)``.
    """
    short = [model.short for model in models]
    kinds = [f"{model.short}, {model.kind}" for model in models]

    def title(model, with_kind):
        if short.count(model.short) == 1:
            return model.short
        return with_kind if kinds.count(with_kind) == 1 else f"{with_kind} ({model.name})"

    return {model.name: title(model, with_kind) for model, with_kind in zip(models, kinds, strict=True)}
