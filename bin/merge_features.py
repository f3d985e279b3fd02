#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "h5py>=3.12", "numpy>=2.0", "pandas>=2.2"]
# ///
"""Merge the features files of the shards of one input, in the order given.

The shards must come from one embedder with the same options, features and number type, and no window may occur twice.
The result is to the byte what the embedder makes of the whole input at once, however many shards there were.

Writes: the features file of --output (.h5ad).
"""

from dataclasses import replace

from intronaut.cli import add_features_output, add_run_options, new_parser, run
from intronaut.core.errors import Problems
from intronaut.core.log import Log

PROG = "merge_features"
OF_A_SHARD = ("input_sha256", "window", "genome", "cost")


def make_parser():
    parser = new_parser(__doc__, PROG)
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="features files of one embedder")
    add_features_output(parser)
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    import h5py
    import pandas as pd

    from intronaut.features.cost import joined_costs
    from intronaut.io.h5ad import FeatureWriter, open_features
    from intronaut.io.window_cut import joined_cut

    log = Log(PROG, args)
    first = open_features(args.shards[0])
    shards = opened_once(args.shards, first)
    provenances = [shard.provenance for shard in shards]
    obs = pd.concat([shard.obs for shard in shards])
    provenance = shared_provenance(first) | joined_cut(provenances)
    cost = joined_costs([one.get("cost") for one in provenances])
    with (
        FeatureWriter(args.output, obs, first.var, first.x.dtype, provenance, records_cost=cost is not None) as writer,
        log.progress(len(obs), "windows") as progress,
    ):
        done = 0
        for shard in shards:
            with h5py.File(shard.path, "r") as file:
                for block, values in replace(shard, x=file["X"]).row_blocks():
                    writer.write(range(done + block.start, done + block.stop), values)
                    progress.add(len(values))
            done += len(shard.obs)
        writer.finish(cost)
    log.note(f"{len(args.shards):,} shards, {len(obs):,} windows, {len(first.var):,} features")


def opened_once(paths, first):
    """The Features of each shard, closed again: one is open at a time, since systems limit how many may be.

    Raises BadData that lists every shard which does not go with the first, and every window that occurs twice.
    """
    from intronaut.io.h5ad import open_features

    problems, seen, shards = Problems(PROG), {}, []
    for path in paths:
        shard = open_features(path)
        if "digest" not in shard.obs:
            problems.add(f"{path} is not from an embedder: its obs has no digest of each window")
        ours, theirs = shared_provenance(shard), shared_provenance(first)
        differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if differing:
            differences = ", ".join(f"{key} {ours.get(key)!r} and {theirs.get(key)!r}" for key in differing)
            problems.add(f"{path} and {first.path} were made differently: {differences}")
        if not shard.var.equals(first.var) or shard.x.dtype != first.x.dtype:
            problems.add(f"{path} and {first.path} hold different features")
        if list(shard.obs.columns) != list(first.obs.columns):
            problems.add(f"{path} and {first.path} describe windows by different columns")
        for name in shard.obs.index:
            if name in seen:
                problems.add(f"window {name!r} occurs in {seen[name]} and {path}")
            seen[name] = path
        shard.close()
        # the columns are the first one's, and thousands of tables of them would fill the memory
        shards.append(replace(shard, var=first.var))
    problems.raise_if_any()
    return shards


def shared_provenance(shard):
    """The provenance less what is a shard's own: its input, and how its windows were cut, which is joined."""
    return {key: value for key, value in shard.provenance.items() if key not in OF_A_SHARD}


if __name__ == "__main__":
    run(main, PROG)
