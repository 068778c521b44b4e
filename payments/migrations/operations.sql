-- One number space for every operation of the installation, and one each for legs and addresses; all fit a
-- signed 32-bit integer, which existing clients read them into.
CREATE SEQUENCE operation_wire_id AS integer MINVALUE 1 MAXVALUE 2147483647 CYCLE START 500001;
CREATE SEQUENCE leg_wire_id AS integer MINVALUE 1 MAXVALUE 2147483647 CYCLE START 700001;
CREATE SEQUENCE address_wire_id AS integer MINVALUE 1 MAXVALUE 2147483647 CYCLE START 9001;

-- A row of one merchant cannot point to another's.
ALTER TABLE payments_operation ADD CONSTRAINT operation_address_is_the_merchants
  FOREIGN KEY (merchant_id, address_id) REFERENCES payments_address (merchant_id, id);
ALTER TABLE payments_leg ADD CONSTRAINT leg_operation_is_the_merchants
  FOREIGN KEY (merchant_id, operation_id) REFERENCES payments_operation (merchant_id, id);

-- What an operation is never changes; its status moves along legal edges; its version only grows.
CREATE FUNCTION operation_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'operations are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.wire_id, NEW.kind, NEW.processor_id, NEW.external_id, NEW.address_id,
      NEW.currency_sent, NEW.amount_sent)
     IS DISTINCT FROM
     (OLD.id, OLD.merchant_id, OLD.wire_id, OLD.kind, OLD.processor_id, OLD.external_id, OLD.address_id,
      OLD.currency_sent, OLD.amount_sent) THEN
    RAISE EXCEPTION 'operation % keeps its identity', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_keeps_its_identity';
  END IF;
  IF NEW.version < OLD.version OR NEW.bookings < OLD.bookings
     OR (NEW.status <> OLD.status AND NEW.version = OLD.version) THEN
    RAISE EXCEPTION 'operation % goes forwards only', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_goes_forwards';
  END IF;
  IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
       ('not_confirmed', 'confirmed'), ('not_confirmed', 'cancelled'),
       ('confirmed', 'cancelled'), ('cancelled', 'confirmed')) THEN
    RAISE EXCEPTION 'operation %: % may not become %', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_status_moves_legally';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER operation_is_guarded BEFORE UPDATE OR DELETE ON payments_operation
  FOR EACH ROW EXECUTE FUNCTION operation_is_guarded();

-- A taken address stays with its merchant, its customer and its coordinates.
CREATE FUNCTION address_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
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
  RETURN NEW;
END $$;

CREATE TRIGGER address_is_guarded BEFORE UPDATE ON payments_address
  FOR EACH ROW EXECUTE FUNCTION address_is_guarded();

-- Terms and routes in force are replaced by newer rows, never edited.
CREATE TRIGGER terms_are_append_only BEFORE UPDATE OR DELETE ON payments_terms
  FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER route_is_append_only BEFORE UPDATE OR DELETE ON payments_route
  FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON payments_terms, payments_route FROM bursar_app, bursar_sender;
REVOKE DELETE, TRUNCATE ON payments_operation FROM bursar_app, bursar_sender;
