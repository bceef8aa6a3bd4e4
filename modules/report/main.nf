include { memory_for } from '../resources'

// Makes the one page that people read, from the tables of all steps.
process REPORT {
    label 'model'
    memory { memory_for(tables, 2, 5, task.attempt) }
    container 'cartox/report:0.1.0'

    input:
    // the tables under the names that the steps give them; what was not asked is simply not among them
    path tables, stageAs: 'inputs/*'
    path markers, stageAs: 'markers/*'
    path config, stageAs: 'style/*'
    path css, stageAs: 'style/*'
    val step

    output:
    // no versions on the topic: the page shows those of all other steps, so it has to wait for the topic's end
    path 'report.html', emit: report

    script:
    """
    # code ${step.code}
    report.py --inputs inputs --markers ${markers} --config ${config} --css ${css} ${step.args}
    """

    stub:
    """
    touch report.html
    """
}
