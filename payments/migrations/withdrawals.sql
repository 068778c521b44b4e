-- A row of one merchant cannot point to another's.
ALTER TABLE payments_withdrawal ADD CONSTRAINT withdrawal_operation_is_the_merchants
  FOREIGN KEY (merchant_id, operation_id) REFERENCES payments_operation (merchant_id, id);

-- What an operation is never changes; its status moves along the legal edges of its kind.
CREATE OR REPLACE FUNCTION operation_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'operations are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.wire_id, NEW.kind, NEW.processor_id, NEW.external_id, NEW.address_id,
      NEW.currency_sent, NEW.amount_sent, NEW.foreign_id, NEW.origin)
     IS DISTINCT FROM
     (OLD.id, OLD.merchant_id, OLD.wire_id, OLD.kind, OLD.processor_id, OLD.external_id, OLD.address_id,
      OLD.currency_sent, OLD.amount_sent, OLD.foreign_id, OLD.origin) THEN
    RAISE EXCEPTION 'operation % keeps its identity', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_keeps_its_identity';
  END IF;
  IF NEW.version < OLD.version OR NEW.bookings < OLD.bookings
     OR (NEW.status <> OLD.status AND NEW.version = OLD.version) THEN
    RAISE EXCEPTION 'operation % goes forwards only', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_goes_forwards';
  END IF;
  IF NEW.status <> OLD.status AND NOT (CASE WHEN NEW.kind IN ('deposit', 'deposit_exchange')
       THEN (OLD.status, NEW.status) IN (
         ('not_confirmed', 'confirmed'), ('not_confirmed', 'cancelled'),
         ('confirmed', 'cancelled'), ('cancelled', 'confirmed'))
       ELSE (OLD.status, NEW.status) IN (
         ('pending', 'processing'), ('pending', 'declined'),
         ('processing', 'confirmed'), ('processing', 'cancelled')) END) THEN
    RAISE EXCEPTION 'operation %: % may not become %', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_status_moves_legally';
  END IF;
  RETURN NEW;
END $$;

-- A withdrawal begins pending or approved and with nothing sent; what was asked for never changes; its state
-- moves along legal edges; only the sender hands it over, and only once.
CREATE FUNCTION withdrawal_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'withdrawals are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_never_removed';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> (CASE WHEN NEW."limit" = '' THEN 'approved' ELSE 'pending' END)
       OR NEW.decided_by_id IS NOT NULL OR NEW.prepared IS NOT NULL OR NEW.external_id IS NOT NULL
       OR NEW.submitted_at IS NOT NULL OR NEW.outcome <> '' OR NEW.closed_at IS NOT NULL THEN
      RAISE EXCEPTION 'a withdrawal begins as its limit says'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_begins_as_its_limit_says';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.operation_id, NEW.merchant_id, NEW.processor_id, NEW.origin, NEW.api_key_id, NEW.requested_by_id,
      NEW.requested_at, NEW.note, NEW.currency, NEW.amount, NEW.fixed_side, NEW.convert_to, NEW.amount_to,
      NEW.address, NEW.lookup, NEW.tag, NEW.address_wire_id, NEW.fee, NEW.mining_fee, NEW.held,
      NEW.is_internal, NEW."limit", NEW.our_id, NEW.expires_at)
     IS DISTINCT FROM
     (OLD.operation_id, OLD.merchant_id, OLD.processor_id, OLD.origin, OLD.api_key_id, OLD.requested_by_id,
      OLD.requested_at, OLD.note, OLD.currency, OLD.amount, OLD.fixed_side, OLD.convert_to, OLD.amount_to,
      OLD.address, OLD.lookup, OLD.tag, OLD.address_wire_id, OLD.fee, OLD.mining_fee, OLD.held,
      OLD.is_internal, OLD."limit", OLD.our_id, OLD.expires_at) THEN
    RAISE EXCEPTION 'withdrawal % stays as it was asked for', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_stays_as_asked_for';
  END IF;
  IF OLD.state <> 'pending' AND
     (NEW.decided_by_id, NEW.decided_at, NEW.decision_reason, NEW.approved_hash)
     IS DISTINCT FROM (OLD.decided_by_id, OLD.decided_at, OLD.decision_reason, OLD.approved_hash) THEN
    RAISE EXCEPTION 'withdrawal % was decided', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_decided_once';
  END IF;
  IF (OLD.prepared IS NOT NULL AND (NEW.prepared, NEW.prepared_at) IS DISTINCT FROM (OLD.prepared, OLD.prepared_at))
     OR (OLD.external_id IS NOT NULL AND NEW.external_id IS DISTINCT FROM OLD.external_id) THEN
    RAISE EXCEPTION 'withdrawal % was written down', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_order_stays_as_written';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
       ('pending', 'approved'), ('pending', 'declined'), ('pending', 'expired'),
       ('approved', 'sending'), ('approved', 'confirmed'), ('approved', 'failed'),
       ('sending', 'sent'), ('sending', 'unknown'), ('sending', 'confirmed'), ('sending', 'failed'),
       ('sent', 'unknown'), ('sent', 'confirmed'), ('sent', 'failed'),
       ('unknown', 'sent'), ('unknown', 'confirmed'), ('unknown', 'failed')) THEN
    RAISE EXCEPTION 'withdrawal %: % may not become %', OLD.operation_id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_state_moves_legally';
  END IF;
  IF OLD.state = 'approved' AND NEW.state = 'confirmed' AND NOT NEW.is_internal THEN
    RAISE EXCEPTION 'withdrawal % was not sent', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_sent_before_it_is_confirmed';
  END IF;
  IF (NEW.state = 'sending' AND OLD.state <> 'sending' OR NEW.prepared IS DISTINCT FROM OLD.prepared)
     AND NOT pg_has_role(current_user, 'bursar_sender', 'USAGE') THEN
    RAISE EXCEPTION 'only the sender sends'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_sent_by_the_sender';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER withdrawal_is_guarded BEFORE INSERT OR UPDATE OR DELETE ON payments_withdrawal
  FOR EACH ROW EXECUTE FUNCTION withdrawal_is_guarded();

-- When a transaction ends, a withdrawal's money is where its state says, and the wire is told the same.
CREATE FUNCTION withdrawal_is_booked() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now_is record;
  shown text;
BEGIN
  SELECT * INTO now_is FROM payments_withdrawal WHERE operation_id = NEW.operation_id;
  IF NOT EXISTS (SELECT 1 FROM payments_entry WHERE key = 'withdrawal:' || NEW.operation_id || ':hold')
     OR EXISTS (SELECT 1 FROM payments_entry WHERE key = 'withdrawal:' || NEW.operation_id || ':close')
        <> (now_is.state IN ('confirmed', 'failed', 'declined', 'expired')) THEN
    RAISE EXCEPTION 'withdrawal % is % and not booked so', NEW.operation_id, now_is.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_booked_as_its_state_says';
  END IF;
  SELECT status INTO shown FROM payments_operation WHERE id = NEW.operation_id;
  IF shown <> (CASE now_is.state WHEN 'pending' THEN 'pending' WHEN 'confirmed' THEN 'confirmed'
                WHEN 'failed' THEN 'cancelled' WHEN 'declined' THEN 'declined' WHEN 'expired' THEN 'declined'
                ELSE 'processing' END) THEN
    RAISE EXCEPTION 'withdrawal % is % and shown as %', NEW.operation_id, now_is.state, shown
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'withdrawal_is_shown_as_its_state_says';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER withdrawal_is_booked AFTER INSERT OR UPDATE OF state ON payments_withdrawal
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION withdrawal_is_booked();

-- A stop stays what it was, is lifted once, and is never removed; a contact stays the destination it named.
CREATE FUNCTION stop_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.lifted_at IS NOT NULL
     OR (NEW.id, NEW.merchant_id, NEW.reason, NEW.stopped_by_id, NEW.stopped_at)
        IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.reason, OLD.stopped_by_id, OLD.stopped_at) THEN
    RAISE EXCEPTION 'stop % stays as it was', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'stop_stays_as_it_was';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER stop_is_guarded BEFORE UPDATE OR DELETE ON payments_stop
  FOR EACH ROW EXECUTE FUNCTION stop_is_guarded();

CREATE FUNCTION contact_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.removed_at IS NOT NULL
     OR (NEW.id, NEW.merchant_id, NEW.currency, NEW.address, NEW.lookup, NEW.tag, NEW.created_at,
         NEW.created_by_id, NEW.usable_from)
        IS DISTINCT FROM
        (OLD.id, OLD.merchant_id, OLD.currency, OLD.address, OLD.lookup, OLD.tag, OLD.created_at,
         OLD.created_by_id, OLD.usable_from) THEN
    RAISE EXCEPTION 'contact % stays where it points', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'contact_stays_where_it_points';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER contact_is_guarded BEFORE UPDATE OR DELETE ON payments_contact
  FOR EACH ROW EXECUTE FUNCTION contact_is_guarded();

-- Who may write what. Caps, and the lifting of stops, are the database owner's alone.
REVOKE ALL ON payments_withdrawal, payments_withdrawallimit, payments_limitrecipient, payments_contact,
  payments_cap, payments_stop, payments_alert, payments_reconciliation FROM bursar_app, bursar_sender;
GRANT SELECT ON payments_withdrawal, payments_withdrawallimit, payments_limitrecipient, payments_contact,
  payments_cap, payments_stop, payments_alert, payments_reconciliation TO bursar_app, bursar_sender;
GRANT INSERT ON payments_withdrawal TO bursar_app;
GRANT UPDATE (state, decided_by_id, decided_at, decision_reason, approved_hash, external_id, closed_at,
              next_ask_at, outcome, outcome_reason, outcome_txid, outcome_said_by_id, outcome_said_at,
              outcome_agreed_by_id) ON payments_withdrawal TO bursar_app;
GRANT UPDATE (state, prepared, prepared_at, submitted_at, external_id, unknown_at, unknown_reason, asks,
              next_ask_at, stuck_at, closed_at) ON payments_withdrawal TO bursar_sender;
GRANT INSERT, UPDATE, DELETE ON payments_withdrawallimit, payments_limitrecipient TO bursar_app;
GRANT INSERT ON payments_contact, payments_stop, payments_alert TO bursar_app;
GRANT UPDATE (name, removed_at) ON payments_contact TO bursar_app;
GRANT INSERT ON payments_stop, payments_alert, payments_reconciliation TO bursar_sender;
GRANT UPDATE (cleared_at, cleared_by_id) ON payments_alert TO bursar_app, bursar_sender;
