include { memory_for } from '../resources'

// Scores ligand–receptor pairs between the cell types of one sample.
process LIGREC {
    tag "${sample}"
    label 'light'
    memory { memory_for(counts, 1, 30, task.attempt) }
    container 'cartox/counts:0.1.0'

    input:
    tuple val(sample), path(counts, stageAs: 'counts/*'), path(labels, stageAs: 'labels/*')
    path resource
    val step

    output:
    path "${sample}.ligrec.csv.gz", emit: scores
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    ligrec.py --sample ${sample} --counts ${counts} --labels ${labels} --resource ${resource} ${step.args}
    """

    stub:
    """
    touch ${sample}.ligrec.csv.gz versions.txt
    """
}
