-- What the database itself holds of merchants' rules, for whatever connects to it.

-- The audit is append-only. Grants are the lock, the triggers the second one, the hashes the proof.
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is append-only'
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_is_append_only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON merchants_auditrecord
  FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON merchants_auditrecord
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON merchants_auditrecord FROM bursar_app, bursar_sender;

-- Its head follows the records one by one and is never removed.
CREATE FUNCTION audit_head_moves_by_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.number = OLD.number + 1 AND EXISTS (
       SELECT 1 FROM merchants_auditrecord
        WHERE number = NEW.number AND hash = NEW.hash AND previous_hash = OLD.hash) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the head of the audit follows its records'
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_head_moves_by_one';
END $$;
CREATE TRIGGER audit_head_moves_by_one BEFORE UPDATE OR DELETE ON merchants_audithead
  FOR EACH ROW EXECUTE FUNCTION audit_head_moves_by_one();
CREATE TRIGGER audit_head_is_never_emptied BEFORE TRUNCATE ON merchants_audithead
  FOR EACH STATEMENT EXECUTE FUNCTION audit_head_moves_by_one();
REVOKE DELETE, TRUNCATE ON merchants_audithead FROM bursar_app, bursar_sender;

-- An API key belongs to one merchant, moves along legal edges and is never removed. Dates that say when
-- something happened stay as they were written; a secret is only ever encrypted anew.
CREATE FUNCTION api_key_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'API keys are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'api_key_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.public_key, NEW.generated_at)
       IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.public_key, OLD.generated_at)
     OR (OLD.activated_at IS NOT NULL AND NEW.activated_at IS DISTINCT FROM OLD.activated_at)
     OR (OLD.deactivated_at IS NOT NULL AND NEW.deactivated_at IS DISTINCT FROM OLD.deactivated_at)
     OR (OLD.first_used_at IS NOT NULL AND NEW.first_used_at IS DISTINCT FROM OLD.first_used_at)
     OR (OLD.secret_ciphertext <> '' AND NEW.secret_ciphertext = '') THEN
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

-- Who is known outside by a number keeps it.
CREATE FUNCTION merchant_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (NEW.id, NEW.wire_id) IS DISTINCT FROM (OLD.id, OLD.wire_id) THEN
    RAISE EXCEPTION 'merchant % keeps its numbers and is never removed', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'merchant_keeps_its_identity';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER merchant_is_guarded BEFORE UPDATE OR DELETE ON merchants_merchant
  FOR EACH ROW EXECUTE FUNCTION merchant_is_guarded();

-- The sender needs neither people nor keys.
REVOKE ALL ON merchants_user, merchants_membership, merchants_totpdevice, merchants_apikey,
  merchants_allowlistentry, merchants_keytraffic FROM bursar_sender;
REVOKE INSERT, UPDATE, DELETE ON merchants_merchant, merchants_clockoffset FROM bursar_sender;
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM bursar_app, bursar_sender;
