include { gathered ; gene_set_files ; given_pairs } from '../modules/files'
include { step            } from '../modules/step'
include { PSEUDOBULK      } from '../modules/pseudobulk'
include { LIGREC_RESOURCE } from '../modules/ligrec_resource'
include { LIGREC          } from '../modules/ligrec'
include { LIGREC_RANK     } from '../modules/ligrec_rank'
include { PATHWAYS        } from '../modules/pathways'
include { TENSOR          } from '../modules/tensor'
include { FEATURES        } from '../modules/features'

// What is measured of each sample: pathways, ligand-receptor pairs, programmes, composition, as one table.
workflow SIGNALS {
    take:
    labelled // by sample: counts, labels
    counts // of all samples
    labels
    states
    qc
    samples
    clinical
    contrasts
    opts

    main:
    PSEUDOBULK(labelled, step('pseudobulk', opts, []))
    PATHWAYS(
        gathered(PSEUDOBULK.out.counts), samples, clinical, gathered(contrasts), gene_set_files(opts.gene_sets),
        step('pathways', opts, ['min_cells', 'car_features']),
    )
    // not before the inputs are known to be sound
    LIGREC_RESOURCE(given_pairs(opts.ligrec_resource), samples.map { _checked -> step('ligrec_resource', opts, ['ligrec_resource']) })
    LIGREC(gathered(PSEUDOBULK.out.expression), LIGREC_RESOURCE.out.resource, step('ligrec', opts, ['car_features']))
    pairs = gathered(LIGREC.out.scores.flatten())
    LIGREC_RANK(counts, labels, samples, LIGREC_RESOURCE.out.resource, step('ligrec_rank', opts, ['car_features', 'seed']))
    TENSOR(opts.tensor_rank ? pairs : channel.empty(), samples, step('tensor', opts, ['tensor_rank', 'tensor_seeds', 'seed']))
    FEATURES(
        PATHWAYS.out.scores, pairs, gathered(PSEUDOBULK.out.composition.mix(states)), opts.tensor_rank ? TENSOR.out.factors : [],
        qc, samples, step('features', opts, ['car_features']),
    )

    features = FEATURES.out.features
    scores = PATHWAYS.out.scores
    pseudobulk = PATHWAYS.out.pseudobulk
    tables = FEATURES.out.features.mix(LIGREC_RANK.out.ranks.flatten(), TENSOR.out.factors, TENSOR.out.loadings, TENSOR.out.summary)

    emit:
    features
    scores
    pseudobulk
    tables
}
