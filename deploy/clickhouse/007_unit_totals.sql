-- Which categories a unit's total counts is said by who asks, so that one more needs no other view.

DROP VIEW IF EXISTS rolling_units;

CREATE VIEW IF NOT EXISTS rolling_units AS
SELECT
    period, unit,
    sum(t.reported) AS reported, sum(t.compliant) AS compliant, sum(t.timely) AS timely,
    sum(t.late) AS late, sum(t.corrections) AS corrections, sum(t.duplicates) AS duplicates,
    sum(t.withdrawn) AS withdrawn,
    if(reported = 0, NULL, intDiv(20000 * compliant + reported, 2 * reported) / 100) AS compliance_rate,
    if(compliant = 0, NULL, intDiv(20000 * timely + compliant, 2 * compliant) / 100) AS timeliness_rate
FROM rolling(as_of = {as_of:Date}) AS t
WHERE category IN {categories:Array(String)}
GROUP BY period, unit
COMMENT '截至某日各机构所给类别之和：rolling_units(as_of = 日期, categories = [类别, …])；给总报送量所含的类别，即得总报送量';
