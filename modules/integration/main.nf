include { memory_for } from '../resources'

// Judges what Harmony did: mixing before and after, types merged, states erased, lanes aliased with questions.
process INTEGRATION {
    label 'cells'
    memory { memory_for([pca, harmony], 2, 10, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path cells
    path pca
    path harmony
    path annotation
    path samples
    path clinical
    path contrasts, stageAs: 'contrasts/*'
    val step

    output:
    path 'integration.json', emit: summary
    path 'integration.csv', emit: measures
    path 'versions.txt', topic: versions

    script:
    def people = clinical ? "--clinical ${clinical}" : ''
    """
    # code ${step.code}
    shopt -s nullglob
    integration.py --cells ${cells} --pca ${pca} --harmony ${harmony} --annotation ${annotation} \\
        --samples ${samples} ${people} --contrasts contrasts/*.json ${step.args}
    """

    stub:
    """
    touch integration.json integration.csv versions.txt
    """
}
