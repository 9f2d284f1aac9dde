"""Writing for people: the report of a run and the page of a campaign, from records, verdicts and the ledger alone.

run_report.py            a run's report: Markdown, HTML and figures
campaign_report.py       a campaign's page
drivers.py               whether it drives: the policy against drivers that learn nothing; whether it sees
gate_sections.py         what its gates found: open items, metrics, checkpoints, mechanisms, evidence
measurement_sections.py  gradients, rewards, evaluation, attempts, resources
long_run_sections.py     what it says of the long run that follows: next actions, risks, milestones
comparison_section.py    what it resolved of the run before
figures.py               its figures
town_facts.py            what a town holds;  town_picture.py  a picture of it
document.py              a report as a list of sections;  rendering.py, templates/  both files from it
"""
