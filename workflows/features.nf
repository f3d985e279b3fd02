include { EMBED_MOTIFS } from '../modules/embed_motifs'
include { EMBED_KMERS } from '../modules/embed_kmers'
include { EMBED_SEI } from '../modules/embed_sei'
include { EMBED_DNABERT2 } from '../modules/embed_dnabert2'
include { MERGE_FEATURES } from '../modules/merge_features'
include { inFolder } from '../modules/publishing'
include { optionalFile } from '../modules/settings'

// Windows turned into features, shard by shard, by every embedder that was asked for.
workflow FEATURES {
    take:
    shards // [embedder, shard FASTA], e.g. ['motifs', windows.00001.fa.gz]
    settings

    main:
    shards_of = shards.branch { embedder, _shard ->
        motifs: embedder == 'motifs'
        kmers: embedder == 'kmers'
        sei: embedder == 'sei'
        dnabert2: embedder == 'dnabert2'
    }
    EMBED_MOTIFS(shards_of.motifs, settings.tax_group)
    EMBED_KMERS(shards_of.kmers)
    EMBED_SEI(shards_of.sei, optionalFile(settings.sei_weights), optionalFile(settings.sei_targets), settings.sei_context)
    EMBED_DNABERT2(shards_of.dnabert2, optionalFile(settings.dnabert2_weights), optionalFile(settings.dnabert2_tokenizer))
    // [embedder, features of all its shards in genome order]
    shard_features = EMBED_MOTIFS.out.features
        .mix(EMBED_KMERS.out.features, EMBED_SEI.out.features, EMBED_DNABERT2.out.features)
        .groupTuple(sort: { one, other -> one.name <=> other.name })
    MERGE_FEATURES(shard_features)

    emit:
    features = MERGE_FEATURES.out.features // [embedder, H5AD]
    published = inFolder('features', MERGE_FEATURES.out.features.map { _embedder, h5ad -> h5ad })
}
