include { memory_for } from '../resources'

// Names every cell by the user's labelled reference, a second opinion beside the annotation.
process MAP_REFERENCE {
    tag "${counts instanceof List ? counts.size() : 1} samples"
    label 'cells'
    // the reference is read whole: at most 20 times its size, for few cells
    memory { memory_for([counts, reference], 2, 15, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path counts, stageAs: 'counts/*'
    path cells
    path genes
    path annotation
    path reference, stageAs: 'reference/*'
    path markers, stageAs: 'markers/*'
    path orthologues
    val step

    output:
    path 'reference.parquet', emit: cells
    path 'reference.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    def species = orthologues ? "--orthologues ${orthologues}" : ''
    """
    # code ${step.code}
    map_reference.py --counts counts/*.h5 --cells ${cells} --genes ${genes} --annotation ${annotation} \\
        --reference ${reference} --markers ${markers} ${species} ${step.args}
    """

    stub:
    """
    touch reference.parquet reference.json versions.txt
    """
}
