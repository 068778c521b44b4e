-- What a second person approves is what the first one asked for; a decision is final and nothing is removed.
CREATE FUNCTION adjustment_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'adjustments are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'adjustment_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.currency, NEW.amount, NEW.reason, NEW.requested_by_id, NEW.requested_at)
     IS DISTINCT FROM
     (OLD.id, OLD.merchant_id, OLD.currency, OLD.amount, OLD.reason, OLD.requested_by_id, OLD.requested_at) THEN
    RAISE EXCEPTION 'adjustment % stays as it was asked for', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'adjustment_stays_as_asked_for';
  END IF;
  IF OLD.status <> 'requested' THEN
    RAISE EXCEPTION 'adjustment % was decided', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'adjustment_is_decided_once';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER adjustment_is_guarded BEFORE UPDATE OR DELETE ON payments_adjustment
  FOR EACH ROW EXECUTE FUNCTION adjustment_is_guarded();

-- An unmatched deposit stays what the processor reported, and is booked and reversed under growing numbers.
CREATE FUNCTION unmatched_deposit_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'unmatched deposits are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'unmatched_deposit_is_never_removed';
  END IF;
  IF (NEW.id, NEW.processor_id, NEW.external_id, NEW.address, NEW.tag, NEW.currency, NEW.amount, NEW.seen_at)
     IS DISTINCT FROM
     (OLD.id, OLD.processor_id, OLD.external_id, OLD.address, OLD.tag, OLD.currency, OLD.amount, OLD.seen_at)
     OR NEW.bookings < OLD.bookings
     OR (NEW.is_booked <> OLD.is_booked AND NEW.bookings = OLD.bookings) THEN
    RAISE EXCEPTION 'unmatched deposit % stays as it was reported', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'unmatched_deposit_stays_as_reported';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER unmatched_deposit_is_guarded BEFORE UPDATE OR DELETE ON payments_unmatcheddeposit
  FOR EACH ROW EXECUTE FUNCTION unmatched_deposit_is_guarded();

-- What moved stays (who paid is personal and may be erased); only a conversion that no longer stands may go.
-- These look only at statements that name one of the columns, so that following a deposit costs no more.
CREATE FUNCTION leg_stays_as_it_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'leg % stays as it moved', OLD.id
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'leg_stays_as_it_moved';
END $$;

CREATE TRIGGER leg_stays_as_it_moved
  BEFORE UPDATE OF id, merchant_id, operation_id, wire_id, transaction_type, type, currency, currency_to,
    address, tag, amount, amount_to ON payments_leg
  FOR EACH ROW EXECUTE FUNCTION leg_stays_as_it_moved();
CREATE TRIGGER leg_is_never_removed BEFORE DELETE ON payments_leg
  FOR EACH ROW WHEN (OLD.type <> 'exchange') EXECUTE FUNCTION leg_stays_as_it_moved();

-- A price that operations refer to is never another one afterwards.
CREATE FUNCTION rate_keeps_its_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rate % keeps its price', OLD.id
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'rate_keeps_its_price';
END $$;

CREATE TRIGGER rate_keeps_its_price
  BEFORE UPDATE OF id, processor_id, source, target, price, minimum, minimum_deposit, quoted_at
  ON payments_rate FOR EACH ROW EXECUTE FUNCTION rate_keeps_its_price();

-- An issued address is where somebody's money goes: nobody may put another in its place, taken or free.
CREATE OR REPLACE FUNCTION address_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.merchant_id IS NOT NULL AND
     (NEW.merchant_id, NEW.wire_id, NEW.foreign_id, NEW.address, NEW.lookup, NEW.tag, NEW.currency,
      NEW.convert_to, NEW.processor_id)
     IS DISTINCT FROM
     (OLD.merchant_id, OLD.wire_id, OLD.foreign_id, OLD.address, OLD.lookup, OLD.tag, OLD.currency,
      OLD.convert_to, OLD.processor_id) THEN
    RAISE EXCEPTION 'address % was taken', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'address_stays_taken';
  END IF;
  IF OLD.address IS NOT NULL AND
     (NEW.address, NEW.lookup, NEW.tag, NEW.currency, NEW.convert_to, NEW.processor_id)
     IS DISTINCT FROM
     (OLD.address, OLD.lookup, OLD.tag, OLD.currency, OLD.convert_to, OLD.processor_id) THEN
    RAISE EXCEPTION 'address % was issued', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'address_stays_as_issued';
  END IF;
  RETURN NEW;
END $$;

-- The sender asks for addresses and reads prices; the others take the ones and read the others.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON payments_address FROM bursar_app;
GRANT UPDATE (origin, merchant_id, wire_id, foreign_id, end_user_reference, sender, taken_at)
  ON payments_address TO bursar_app;
REVOKE INSERT, UPDATE, TRUNCATE ON payments_rate FROM bursar_app;
REVOKE DELETE, TRUNCATE ON payments_address FROM bursar_sender;
REVOKE DELETE, TRUNCATE ON payments_addresspool, payments_unmatcheddeposit FROM bursar_app, bursar_sender;
REVOKE DELETE, TRUNCATE ON payments_adjustment FROM bursar_app;

-- It has no say in who a merchant is, what merchants pay, where money goes, or what people adjust.
REVOKE ALL ON payments_adjustment FROM bursar_sender;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON payments_terms, payments_route, payments_processor
  FROM bursar_sender;
GRANT UPDATE (quotes_at) ON payments_processor TO bursar_sender;
