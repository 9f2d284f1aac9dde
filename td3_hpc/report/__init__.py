"""Writing for people: the report of a run and the page of a campaign, from records, verdicts and the ledger alone.

run_report.py        a run's report: Markdown, HTML and figures
campaign_report.py   a campaign's page
sections.py, course.py, outlook.py, compare.py   the sections of a run's report
figures.py           its figures
document.py          a report as a list of sections;  rendering.py, templates/  both files from it
"""
