// Correlates features with serum analytes across patients, by ranks, within each time point.
process CORRELATE {
    label 'model'
    container 'cartox/stats:0.1.0'

    input:
    path features
    path analytes
    path contrasts, stageAs: 'contrasts/*'
    val step

    output:
    path 'correlations.csv', emit: correlations
    path 'versions.txt', topic: 'versions'

    script:
    def focus = contrasts ? '--contrasts contrasts/*.json' : ''
    """
    # code ${step.code}
    correlate.py --features ${features} --analytes ${analytes} ${focus} ${step.args}
    """

    stub:
    """
    touch correlations.csv versions.txt
    """
}
