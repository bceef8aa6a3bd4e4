include { memory_for } from '../resources'

// Correlates features with serum analytes across patients, by ranks, plain and adjusted for covariates.
process CORRELATE {
    label 'model'
    memory { memory_for(features, 2, 20, task.attempt) }
    container 'cartox/stats:0.1.0'
    conda "${moduleDir}/../../containers/conda/stats.yml"

    input:
    path features
    path analytes
    path clinical
    path contrasts, stageAs: 'contrasts/*'
    val step

    output:
    path 'correlations.csv', emit: correlations
    path 'versions.txt', topic: versions

    script:
    def asked = contrasts ? '--contrasts contrasts/*.json' : ''
    """
    # code ${step.code}
    correlate.py --features ${features} --analytes ${analytes} --clinical ${clinical} ${asked} ${step.args}
    """

    stub:
    """
    touch correlations.csv versions.txt
    """
}
