select distinct purpose from consent where purpose is not null
