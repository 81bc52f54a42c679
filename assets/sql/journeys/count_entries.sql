-- How many would enter each journey in this tick.
select
    runner.journey,
    count(*) as n
from moved
inner join runner on moved.r = runner.r
where moved.kind = 'entered'
group by runner.journey
