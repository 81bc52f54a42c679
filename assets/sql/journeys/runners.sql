-- Everybody who may move or enter, by the number they have in this tick.
select * from known_run

union all

select * from entrant
