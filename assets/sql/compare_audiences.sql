-- Rows of an audience that another lacks, keys that only the other has, and people left out for want of consent.
-- `whole`: a row counts by all its columns; otherwise by its key.
with

audience as (
    {{ now.sql }}
),

earlier as (
{% if before %}
    {{ before.sql }}
{% else %}
    select * from audience where false
{% endif %}
),

fresh as (
    select {% for name in (now.columns if whole else now.key) %}{{ quote(name) }}{{ ', ' if not loop.last }}{% endfor %}

    from audience
    where not _suppressed

    except

    select {% for name in (now.columns if whole else now.key) %}{{ quote(name) }}{{ ', ' if not loop.last }}{% endfor %}

    from earlier
    where not _suppressed
),

gone as (
    select {% for name in now.key %}{{ quote(name) }}{{ ', ' if not loop.last }}{% endfor %}

    from earlier
    where not _suppressed

    except

    select {% for name in now.key %}{{ quote(name) }}{{ ', ' if not loop.last }}{% endfor %}

    from audience
    where not _suppressed
)

select
    (select count(*) from fresh) as upsert,
    (select count(*) from gone) as remove,
    (select count(*) from audience where _suppressed) as suppressed
