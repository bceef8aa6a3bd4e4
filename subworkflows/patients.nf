include { gathered  } from '../modules/files'
include { step      } from '../modules/step'
include { ASSOCIATE } from '../modules/associate'
include { CORRELATE } from '../modules/correlate'

// What goes with the outcome: the patient is the unit, contrast by contrast, and serum.
workflow PATIENTS {
    take:
    contrasts
    features
    scores
    pseudobulk
    samples
    clinical
    analytes
    opts

    main:
    ASSOCIATE(
        contrasts, features, scores, pseudobulk, samples, clinical, analytes,
        step('associate', opts, ['n_permutations', 'fdr', 'min_cells', 'seed']),
    )
    CORRELATE(
        features, opts.analytes ? analytes : channel.empty(), clinical, gathered(contrasts),
        step('correlate', opts, ['n_permutations', 'seed', 'serum_covariates']),
    )

    associations = ASSOCIATE.out.associations
    calibration = ASSOCIATE.out.calibration
    tables = ASSOCIATE.out.associations.mix(
        ASSOCIATE.out.calibration, ASSOCIATE.out.values, ASSOCIATE.out.summary, CORRELATE.out.correlations,
    )

    emit:
    associations
    calibration
    tables
}
