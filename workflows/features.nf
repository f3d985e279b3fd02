include { EMBED_MOTIFS ; EMBED_MOTIFS as EMBED_RNA_MOTIFS } from '../modules/embed_motifs'
include { EMBED_KMERS } from '../modules/embed_kmers'
include { EMBED_SEI } from '../modules/embed_sei'
include { EMBED_DNABERT2 } from '../modules/embed_dnabert2'
include { EMBED_SPLICE } from '../modules/embed_splice'
include { EMBED_TRACKS } from '../modules/embed_tracks'
include { MERGE_FEATURES } from '../modules/merge_features'
include { inFolder } from '../modules/publishing'
include { tracksOf } from '../modules/samples'
include { embeddersOf; madeWith; optionalFile; optionsOf } from '../modules/settings'

// Introns turned into features by every embedder that was asked for: their windows, shard by shard, or what the genome
// and tracks along it say of them.
workflow FEATURES {
    take:
    shards // [cut, shard FASTA], e.g. ['centre_600', windows.00001.fa.gz]
    embedded // [cut, embedder, name of the features], e.g. ['centre_600', 'motifs', 'motifs']
    labels
    inputs // gtf, fasta, aliases
    settings

    main:
    shards_of = shards.combine(channel.fromList(embedded), by: 0).branch { _cut, shard, embedder, name ->
        motifs: embedder == 'motifs'
            return [name, shard]
        rna: embedder == 'rna'
            return [name, shard]
        kmers: embedder == 'kmers'
            return [name, shard]
        sei: embedder == 'sei'
            return [name, shard]
        dnabert2: embedder == 'dnabert2'
            return [name, shard]
    }
    EMBED_MOTIFS(shards_of.motifs, optionalFile(settings.motifs), optionsOf(settings, 'embed_motifs'))
    EMBED_RNA_MOTIFS(shards_of.rna, optionalFile(settings.rna_motifs), optionsOf(settings, 'embed_motifs'))
    EMBED_KMERS(shards_of.kmers)
    of_sei = madeWith('sei', settings)
    EMBED_SEI(
        shards_of.sei, of_sei['weights'] ?: [], of_sei['targets'] ?: [], of_sei['projection'] ?: [], of_sei['class-names'] ?: [],
        optionsOf(settings, 'embed_sei'),
    )
    EMBED_DNABERT2(
        shards_of.dnabert2, optionalFile(settings.dnabert2_weights), optionalFile(settings.dnabert2_tokenizer),
        optionsOf(settings, 'embed_dnabert2'),
    )
    // [name, features of all its shards in genome order]
    shard_features = EMBED_MOTIFS.out.features
        .mix(EMBED_RNA_MOTIFS.out.features, EMBED_KMERS.out.features, EMBED_SEI.out.features, EMBED_DNABERT2.out.features)
        .groupTuple(sort: { one, other -> one.name <=> other.name })
    MERGE_FEATURES(shard_features)

    embedders = embeddersOf(settings)
    EMBED_SPLICE(
        'splice' in embedders ? labels : channel.empty(), inputs.fasta, inputs.gtf, inputs.aliases,
        optionalFile(settings.splice_weights),
    )
    EMBED_TRACKS(
        'tracks' in embedders ? labels : channel.empty(), tracksOf(settings.tracks), inputs.aliases,
        optionsOf(settings, 'embed_tracks'),
    )
    features = MERGE_FEATURES.out.features.mix(EMBED_SPLICE.out.features, EMBED_TRACKS.out.features)

    emit:
    features = features // [name, H5AD]
    published = inFolder('features', features.map { _name, h5ad -> h5ad })
}
