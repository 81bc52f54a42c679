-- Run once, when the server's folder is empty. Texts are ordered by their bytes, as on every other engine.
create database marketing template template0 lc_collate 'C' lc_ctype 'C.UTF-8';
