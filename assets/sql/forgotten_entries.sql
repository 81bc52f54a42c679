-- Entries that messages were sent for and that the segment's history does not have: it is a copy of before.
-- Whoever entered at the first evaluation since and is still there goes on with the entry of before. It is the same
-- person by profile or, where the profile was minted anew since, by contact point.
with

history as (

    select
        segment_history.entry_id,
        segment_history.profile_id,
        segment_history.change,
        segment_history.as_of
    from {{ history }} as segment_history
    where segment_history.segment = {{ literal(segment) }}

),

sent as (

    {% for relation, contact in relations.items() %}
    select
        entry_id,
        _profile_id as profile_id,
        {{ contact }} as contact,
        _as_of as as_of
    from {{ relation }}
    where _outcome in ('accepted', 'unknown', 'pending')
    {{ "union all" if not loop.last }}
    {% endfor %}

),

forgotten as (

    select
        sent.entry_id,
        max(sent.profile_id) as profile_id,
        max(sent.contact) as contact,
        min(sent.as_of) as as_of
    from sent
    where sent.entry_id not in (select history.entry_id from history)
    group by sent.entry_id

),

dated as (

    select
        forgotten.entry_id,
        forgotten.profile_id,
        forgotten.contact,
        forgotten.as_of,
        min(evaluations.as_of) as evaluated_at
    from forgotten
    inner join {{ evaluations }} as evaluations on forgotten.as_of < evaluations.as_of
    where evaluations.segment = {{ literal(segment) }}
    group by forgotten.entry_id, forgotten.profile_id, forgotten.contact, forgotten.as_of

),

aliases as (

    select
        identifier,
        profile_id
    from {{ profile_map }}
    where identifier_type = 'profile_id'

),

-- people whose entry since may be another's of before
entered as (

    select
        arrivals.entry_id,
        arrivals.as_of,
        coalesce(aliases.profile_id, arrivals.profile_id) as profile_id
    from history as arrivals
    left join aliases on arrivals.profile_id = aliases.identifier
    where
        arrivals.change = 'entered'
        and arrivals.entry_id not in (select history.entry_id from history where history.change = 'left')

),

known as (

    select
        dated.entry_id,
        dated.as_of,
        entered.profile_id,
        entered.entry_id as second_id,
        entered.as_of as second_at
    from dated
    left join aliases on dated.profile_id = aliases.identifier
    inner join entered
        on
            coalesce(aliases.profile_id, dated.profile_id) = entered.profile_id
            and dated.evaluated_at = entered.as_of

),

-- who shares a contact point takes turns
strangers as (

    select
        *,
        row_number() over (
            partition by contact, evaluated_at
            order by entry_id
        ) as turn
    from dated
    where
        profile_id not in (select aliases.identifier from aliases)
        and entry_id not in (select known.entry_id from known)

),

newcomers as (

    select
        entered.entry_id,
        entered.profile_id,
        entered.as_of,
        contacts.contact,
        row_number() over (
            partition by contacts.contact, entered.as_of
            order by entered.profile_id
        ) as turn
    from entered
    inner join ({{ contacts }}) as contacts on entered.profile_id = contacts.profile_id
    where entered.profile_id not in (select known.profile_id from known)

),

recognised as (

    select *
    from known

    union all

    select
        strangers.entry_id,
        strangers.as_of,
        newcomers.profile_id,
        newcomers.entry_id as second_id,
        newcomers.as_of as second_at
    from strangers
    inner join newcomers
        on
            strangers.contact = newcomers.contact
            and strangers.evaluated_at = newcomers.as_of
            and strangers.turn = newcomers.turn

),

changes as (

    select
        entry_id,
        profile_id,
        'entered' as change,
        'data' as cause,
        as_of
    from recognised

    union all

    -- two entries turned out to be one
    select
        second_id as entry_id,
        profile_id,
        'left' as change,
        'merge' as cause,
        second_at as as_of
    from recognised

)

select
    entry_id,
    {{ literal(segment) }} as segment,
    profile_id,
    change,
    cause,
    as_of,
    as_of as known_by
from changes
