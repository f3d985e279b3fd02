"""What IRFinder's names say of an intron beside its gene: ``symbol/gene/flags``, flags being clean or some of FLAGS.

known-exon: an annotated exon overlaps it, whose reads count as retention; anti-over, anti-near: a gene on the other
strand overlaps it or lies near, which a library without strands cannot tell from it.
"""

import pandas as pd

FLAGS = ("known-exon", "anti-over", "anti-near")
COLUMN_OF = {flag: "flag_" + flag.replace("-", "_") for flag in FLAGS}


def flags_of(names: pd.Series) -> pd.Series:
    """The FLAGS of each name, joined by ``+`` in their order; empty for clean introns and names without flags."""
    last = names.fillna("").str.rsplit("/", n=1).str[-1]
    held = {flag: last.str.contains(flag, regex=False) for flag in FLAGS}
    texts = ["+".join(flag for flag in FLAGS if held[flag][at]) for at in names.index]
    return pd.Series(texts, names.index, dtype=object)


def flag_columns(calls: pd.DataFrame, n_introns: int) -> dict[str, pd.Series]:
    """``flag_known_exon`` and the like of ``n_introns`` introns, from matched calls; empty where no caller has flags.

    1 where any sample's row has the flag, 0 where none has it, NaN for introns that IRFinder does not list.
    """
    if "flags" not in calls:
        return {}
    flags = calls["flags"].dropna().groupby(calls["intron"]).agg("+".join).reindex(range(n_introns))
    return {
        column: flags.str.contains(flag, regex=False).astype(float).where(flags.notna())
        for flag, column in COLUMN_OF.items()
    }


def with_flags(evidence: pd.Series, columns: dict[str, pd.Series]) -> pd.Series:
    """Evidence texts, with ``irfinder_flags=known-exon+anti-near`` after those of flagged introns."""
    if not columns:
        return evidence
    texts = pd.Series("", evidence.index)
    for flag, column in COLUMN_OF.items():
        texts += (columns[column] == 1).map({True: f"+{flag}", False: ""})
    return evidence.where(texts == "", evidence + ";irfinder_flags=" + texts.str[1:])
