include { memory_for } from '../resources'

// Names every cell's type, lineage and state from the marker table, and calls the CAR+ T cells.
process ANNOTATE { // longer than other modules, as it takes all that is known of every cell
    tag "${counts instanceof List ? counts.size() : 1} samples"
    label 'cells'
    memory { memory_for(neighbours, 1, 60, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path counts, stageAs: 'counts/*'
    path cells
    path clusters
    path neighbours
    path samples
    path harmony
    path markers, stageAs: 'markers/*'
    path cell_labels, stageAs: 'given/*'
    val step

    output:
    path 'annotation.parquet', emit: annotation
    path 'labels/*.csv', emit: labels
    path 'states.csv', emit: states
    path 'dotplot.csv', emit: dotplot
    path 'annotate.json', emit: summary
    path 'car_by_sample.csv', emit: car, optional: true
    path 'versions.txt', topic: versions

    script:
    def given = cell_labels ? "--cell_labels ${cell_labels}" : ''
    """
    # code ${step.code}
    annotate.py --counts counts/*.h5 --cells ${cells} --clusters ${clusters} \\
        --neighbours ${neighbours} --samples ${samples} --harmony ${harmony} --markers ${markers} ${given} ${step.args}
    """

    stub:
    """
    mkdir labels
    for h5 in counts/*.h5; do echo barcode,cell_type,lineage,car > labels/\$(basename \$h5 .h5).csv; done
    touch annotation.parquet states.csv dotplot.csv annotate.json versions.txt
    """
}
