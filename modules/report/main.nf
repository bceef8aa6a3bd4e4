include { memory_for } from '../resources'

// Makes the one page that people read, the methods and summary of the run, and its record as an RO-Crate.
process REPORT {
    label 'model'
    memory { memory_for(tables, 2, 30, task.attempt) }
    container 'cartox/report:0.1.0'
    conda "${moduleDir}/../../containers/conda/report.yml"

    input:
    // the tables under the names that the steps give them; what was not asked is simply not among them
    path tables, stageAs: 'inputs/*'
    path markers, stageAs: 'markers/*'
    path config, stageAs: 'style/*'
    path css, stageAs: 'style/*'
    val step

    output:
    // no versions of its own, as the page shows those of all other steps and has to wait for the last of them
    path 'report.html', emit: report
    path 'run/*', emit: texts
    path 'ro-crate-metadata.json', emit: crate

    script:
    """
    # code ${step.code}
    report.py --inputs inputs --markers ${markers} --config ${config} --css ${css} ${step.args}
    """

    stub:
    """
    mkdir run && touch report.html run/methods.md run/summary.txt && echo '{"@graph": []}' > ro-crate-metadata.json
    """
}
