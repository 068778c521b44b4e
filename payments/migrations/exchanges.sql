-- A number space of its own, within what existing clients read into 32 bits.
CREATE SEQUENCE future_wire_id AS integer MINVALUE 1 MAXVALUE 2147483647 CYCLE START 3001;

-- A row of one merchant cannot point to another's.
ALTER TABLE payments_exchange ADD CONSTRAINT exchange_operation_is_the_merchants
  FOREIGN KEY (merchant_id, operation_id) REFERENCES payments_operation (merchant_id, id);
ALTER TABLE payments_exchange ADD CONSTRAINT exchange_quote_is_the_merchants
  FOREIGN KEY (merchant_id, quote_id) REFERENCES payments_quote (merchant_id, id);
ALTER TABLE payments_future ADD CONSTRAINT future_address_is_the_merchants
  FOREIGN KEY (merchant_id, address_id) REFERENCES payments_address (merchant_id, id);
ALTER TABLE payments_futuredeposit ADD CONSTRAINT future_deposit_operation_is_the_merchants
  FOREIGN KEY (merchant_id, operation_id) REFERENCES payments_operation (merchant_id, id);
ALTER TABLE payments_futuredeposit ADD CONSTRAINT future_deposit_future_is_the_merchants
  FOREIGN KEY (merchant_id, future_id) REFERENCES payments_future (merchant_id, id);

-- What was promised stays promised. A quote that nobody exchanged at may be forgotten.
CREATE FUNCTION promise_is_kept() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'what was promised stays'
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'promise_is_kept';
END $$;

CREATE TRIGGER quote_is_kept BEFORE UPDATE ON payments_quote
  FOR EACH ROW EXECUTE FUNCTION promise_is_kept();
CREATE TRIGGER future_is_kept BEFORE UPDATE OR DELETE ON payments_future
  FOR EACH ROW EXECUTE FUNCTION promise_is_kept();
CREATE TRIGGER future_deposit_is_kept BEFORE UPDATE OR DELETE ON payments_futuredeposit
  FOR EACH ROW EXECUTE FUNCTION promise_is_kept();

-- An exchange begins with nothing sent; what was asked for never changes; its state moves along legal edges;
-- only the sender hands it over, and only once.
CREATE FUNCTION exchange_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'exchanges are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_is_never_removed';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'processing' OR NEW.prepared IS NOT NULL OR NEW.external_id IS NOT NULL
       OR NEW.submitted_at IS NOT NULL THEN
      RAISE EXCEPTION 'an exchange begins unsent'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_begins_unsent';
    END IF;
    IF NEW.quote_id IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM payments_quote q
          WHERE q.id = NEW.quote_id AND (q.source, q.target, q.price) = (NEW.source, NEW.target, NEW.price)) THEN
      RAISE EXCEPTION 'an exchange is at the price that was quoted'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_is_at_its_quote';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.operation_id, NEW.merchant_id, NEW.processor_id, NEW.origin, NEW.api_key_id, NEW.requested_by_id,
      NEW.requested_at, NEW.quote_id, NEW.source, NEW.amount, NEW.target, NEW.amount_to, NEW.price, NEW.fee,
      NEW.fee_currency, NEW.held, NEW.our_id)
     IS DISTINCT FROM
     (OLD.operation_id, OLD.merchant_id, OLD.processor_id, OLD.origin, OLD.api_key_id, OLD.requested_by_id,
      OLD.requested_at, OLD.quote_id, OLD.source, OLD.amount, OLD.target, OLD.amount_to, OLD.price, OLD.fee,
      OLD.fee_currency, OLD.held, OLD.our_id) THEN
    RAISE EXCEPTION 'exchange % stays as it was asked for', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_stays_as_asked_for';
  END IF;
  IF (OLD.prepared IS NOT NULL AND (NEW.prepared, NEW.prepared_at) IS DISTINCT FROM (OLD.prepared, OLD.prepared_at))
     OR (OLD.external_id IS NOT NULL AND NEW.external_id IS DISTINCT FROM OLD.external_id) THEN
    RAISE EXCEPTION 'exchange % was written down', OLD.operation_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_order_stays_as_written';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
       ('processing', 'sending'), ('processing', 'failed'),
       ('sending', 'sent'), ('sending', 'unknown'), ('sending', 'confirmed'), ('sending', 'failed'),
       ('sent', 'unknown'), ('sent', 'confirmed'), ('sent', 'failed'),
       ('unknown', 'sent'), ('unknown', 'confirmed'), ('unknown', 'failed')) THEN
    RAISE EXCEPTION 'exchange %: % may not become %', OLD.operation_id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_state_moves_legally';
  END IF;
  IF (NEW.state = 'sending' AND OLD.state <> 'sending' OR NEW.prepared IS DISTINCT FROM OLD.prepared)
     AND NOT pg_has_role(current_user, 'bursar_sender', 'USAGE') THEN
    RAISE EXCEPTION 'only the sender sends'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_is_sent_by_the_sender';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER exchange_is_guarded BEFORE INSERT OR UPDATE OR DELETE ON payments_exchange
  FOR EACH ROW EXECUTE FUNCTION exchange_is_guarded();

-- When a transaction ends, an exchange's money is where its state says, and the wire is told the same.
CREATE FUNCTION exchange_is_booked() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now_is text;
  shown text;
BEGIN
  SELECT state INTO now_is FROM payments_exchange WHERE operation_id = NEW.operation_id;
  IF NOT EXISTS (SELECT 1 FROM payments_entry WHERE key = 'exchange:' || NEW.operation_id || ':hold')
     OR EXISTS (SELECT 1 FROM payments_entry WHERE key = 'exchange:' || NEW.operation_id || ':close')
        <> (now_is IN ('confirmed', 'failed')) THEN
    RAISE EXCEPTION 'exchange % is % and not booked so', NEW.operation_id, now_is
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_is_booked_as_its_state_says';
  END IF;
  SELECT status INTO shown FROM payments_operation WHERE id = NEW.operation_id AND kind = 'exchange';
  IF shown IS DISTINCT FROM (CASE now_is WHEN 'confirmed' THEN 'confirmed' WHEN 'failed' THEN 'cancelled'
                ELSE 'processing' END) THEN
    RAISE EXCEPTION 'exchange % is % and shown as %', NEW.operation_id, now_is, shown
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exchange_is_shown_as_its_state_says';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER exchange_is_booked AFTER INSERT OR UPDATE OF state ON payments_exchange
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exchange_is_booked();

-- Who may write what.
REVOKE ALL ON payments_quote, payments_exchange, payments_future, payments_futuredeposit
  FROM bursar_app, bursar_sender;
GRANT SELECT ON payments_quote, payments_exchange, payments_future, payments_futuredeposit
  TO bursar_app, bursar_sender;
GRANT INSERT, DELETE ON payments_quote TO bursar_app;
GRANT INSERT ON payments_exchange, payments_future, payments_futuredeposit TO bursar_app;
GRANT UPDATE (state, external_id, failure, next_ask_at, closed_at) ON payments_exchange TO bursar_app;
GRANT UPDATE (state, prepared, prepared_at, submitted_at, external_id, unknown_at, unknown_reason, asks,
              next_ask_at, failure, closed_at) ON payments_exchange TO bursar_sender;
