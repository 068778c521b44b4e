-- The database roles, before the first table: tables made later by the same owner are covered by default.
-- bursar_app serves, works and delivers; bursar_sender alone may send money. Neither owns anything.
DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bursar_app') THEN
    CREATE ROLE bursar_app NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bursar_sender') THEN
    CREATE ROLE bursar_sender NOLOGIN;
  END IF;
  -- Whoever migrates may become them, so that grants can be tried; a superuser needs no such grant.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
     AND NOT (pg_has_role(current_user, 'bursar_app', 'MEMBER')
              AND pg_has_role(current_user, 'bursar_sender', 'MEMBER')) THEN
    EXECUTE format('GRANT bursar_app, bursar_sender TO %I', current_user);
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another database of the same server made them at the same moment
END $$;

GRANT USAGE ON SCHEMA public TO bursar_app, bursar_sender;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bursar_app, bursar_sender;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO bursar_app, bursar_sender;
