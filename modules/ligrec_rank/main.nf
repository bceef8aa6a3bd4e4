// Ranks the ligand–receptor pairs of a time point and tissue with liana's consensus, on a sample of its cells.
process LIGREC_RANK {
    tag "${stratum}"
    label 'cells'
    container 'cartox/ligrec:0.1.0'

    input:
    tuple val(stratum), path(counts, stageAs: 'counts/*'), path(labels, stageAs: 'labels/*')
    path resource
    val step

    output:
    path "${stratum}.rank.csv", emit: ranks
    path 'versions.txt', topic: 'versions'

    script:
    """
    # code ${step.code}
    ligrec_rank.py --stratum ${stratum} --counts counts/*.h5 --labels labels/*.csv --resource ${resource} ${step.args}
    """

    stub:
    """
    touch ${stratum}.rank.csv versions.txt
    """
}
