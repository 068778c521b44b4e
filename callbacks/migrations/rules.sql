-- A row of one merchant cannot point to another's endpoint.
ALTER TABLE callbacks_outgoingcallback ADD CONSTRAINT outgoing_callback_endpoint_is_the_merchants
  FOREIGN KEY (merchant_id, endpoint_id) REFERENCES callbacks_endpoint (merchant_id, id);

-- The fingerprint is the bytes' own: two rows with the same bytes cannot hide behind different ones.
ALTER TABLE callbacks_incomingcallback ADD CONSTRAINT incoming_callback_fingerprint_is_true
  CHECK (sha256 = sha256(raw));

-- Stored bytes never change, and neither does what they are about. These triggers look only at statements
-- that name one of the columns, so that claims and results do not pay for them.
CREATE FUNCTION incoming_callback_stays_as_it_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'incoming callback % stays as it came', OLD.id
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'incoming_callback_stays_as_it_came';
END $$;

CREATE TRIGGER incoming_callback_stays_as_it_came
  BEFORE UPDATE OF processor, sha256, raw, headers, received_at ON callbacks_incomingcallback
  FOR EACH ROW EXECUTE FUNCTION incoming_callback_stays_as_it_came();

CREATE FUNCTION outgoing_callback_keeps_its_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'outgoing callback % keeps its bytes', OLD.id
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'outgoing_callback_keeps_its_bytes';
END $$;

CREATE TRIGGER outgoing_callback_keeps_its_bytes
  BEFORE UPDATE OF subject_kind, subject_id, version, merchant_id, body, created_at
  ON callbacks_outgoingcallback
  FOR EACH ROW EXECUTE FUNCTION outgoing_callback_keeps_its_bytes();

-- States move along legal edges.
CREATE FUNCTION incoming_callback_moves_legally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN (
       ('received', 'applied'), ('received', 'quarantined'), ('quarantined', 'received')) THEN
    RAISE EXCEPTION 'incoming callback %: % may not become %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'incoming_callback_moves_legally';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER incoming_callback_moves_legally BEFORE UPDATE ON callbacks_incomingcallback
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
  EXECUTE FUNCTION incoming_callback_moves_legally();

CREATE FUNCTION outgoing_callback_moves_legally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN (
       ('due', 'delivered'), ('due', 'superseded'), ('due', 'exhausted'),
       ('delivered', 'due'), ('exhausted', 'due'), ('unaddressed', 'due')) THEN
    RAISE EXCEPTION 'outgoing callback %: % may not become %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'outgoing_callback_moves_legally';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER outgoing_callback_moves_legally BEFORE UPDATE ON callbacks_outgoingcallback
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
  EXECUTE FUNCTION outgoing_callback_moves_legally();

-- What was tried stays; only the owner prunes.
REVOKE UPDATE, DELETE, TRUNCATE ON callbacks_deliveryattempt FROM bursar_app, bursar_sender;
REVOKE DELETE, TRUNCATE ON callbacks_incomingcallback, callbacks_outgoingcallback
  FROM bursar_app, bursar_sender;
