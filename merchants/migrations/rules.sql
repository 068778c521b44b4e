-- What the database holds of merchants' rules, for whatever connects.

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON merchants_auditrecord
  FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON merchants_auditrecord
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON merchants_auditrecord FROM bursar_app, bursar_sender;

-- An API key belongs to one merchant, moves along legal edges, and is never removed; a secret that was
-- shown is not replaced by another (encrypting it anew under a newer key is the one change).
CREATE FUNCTION api_key_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'API keys are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'api_key_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.public_key) IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.public_key) THEN
    RAISE EXCEPTION 'API key % keeps its identity', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'api_key_keeps_its_identity';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
       ('generated', 'active'), ('generated', 'deactivated'), ('active', 'deactivated')) THEN
    RAISE EXCEPTION 'API key %: % may not become %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'api_key_state_moves_legally';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER api_key_is_guarded BEFORE UPDATE OR DELETE ON merchants_apikey
  FOR EACH ROW EXECUTE FUNCTION api_key_is_guarded();
