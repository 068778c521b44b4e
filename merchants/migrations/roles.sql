-- The database roles, before the first table. bursar_app serves, works and delivers; bursar_sender alone
-- may hand money to a processor. Neither owns anything; who migrates owns all. An installation that gives
-- its processes their own logins makes the two roles itself beforehand.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['bursar_app', 'bursar_sender'] LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server made it at the same moment
      END;
    END IF;
    -- Who migrates may step into the roles, so that grants can be tried.
    IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
      BEGIN
        EXECUTE format('GRANT %I TO %I', wanted, current_user);
      EXCEPTION WHEN insufficient_privilege THEN
        NULL; -- an owner without that right serves as well: grants to the roles do not need it
      END;
    END IF;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO bursar_app, bursar_sender;

-- Tables that exist already (the migrations' own, and whatever ran before), then all later ones.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO bursar_app, bursar_sender;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO bursar_app, bursar_sender;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bursar_app, bursar_sender;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO bursar_app, bursar_sender;

-- What outsiders know a merchant by; fits the signed 32-bit integer that clients read it into.
CREATE SEQUENCE merchant_wire_id AS integer MINVALUE 1 START 11;
