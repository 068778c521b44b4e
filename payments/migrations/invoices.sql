-- A row of one merchant cannot point to another's.
ALTER TABLE payments_invoice ADD CONSTRAINT invoice_address_is_the_merchants
  FOREIGN KEY (merchant_id, address_id) REFERENCES payments_address (merchant_id, id);
ALTER TABLE payments_invoicepart ADD CONSTRAINT invoice_part_invoice_is_the_merchants
  FOREIGN KEY (merchant_id, invoice_id) REFERENCES payments_invoice (merchant_id, id);
ALTER TABLE payments_invoicepart ADD CONSTRAINT invoice_part_operation_is_the_merchants
  FOREIGN KEY (merchant_id, operation_id) REFERENCES payments_operation (merchant_id, id);

-- An invoice begins unpaid. What was asked for never changes; what its payer chose is chosen once; its status
-- moves along legal edges and its time only with it; its version and its bookings only grow.
CREATE FUNCTION invoice_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'invoices are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_is_never_removed';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('created', 'pending') OR NEW.version <> 1 OR NEW.bookings <> 0 THEN
      RAISE EXCEPTION 'an invoice begins unpaid'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_begins_unpaid';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.wire_id, NEW.foreign_id, NEW.code, NEW.timer, NEW.mode, NEW.title,
      NEW.description, NEW.currency, NEW.amount, NEW.asked_currency, NEW.quotes, NEW.url_success,
      NEW.url_failed, NEW.end_user_reference, NEW.sender, NEW.created_at)
     IS DISTINCT FROM
     (OLD.id, OLD.merchant_id, OLD.wire_id, OLD.foreign_id, OLD.code, OLD.timer, OLD.mode, OLD.title,
      OLD.description, OLD.currency, OLD.amount, OLD.asked_currency, OLD.quotes, OLD.url_success,
      OLD.url_failed, OLD.end_user_reference, OLD.sender, OLD.created_at)
     OR (OLD.email_user <> '' AND NEW.email_user <> OLD.email_user) THEN
    RAISE EXCEPTION 'invoice % stays as it was asked for', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_stays_as_asked_for';
  END IF;
  IF OLD.sender_currency <> '' AND
     (NEW.sender_currency, NEW.sender_amount, NEW.price, NEW.rate_id, NEW.terms_id, NEW.address_id)
     IS DISTINCT FROM
     (OLD.sender_currency, OLD.sender_amount, OLD.price, OLD.rate_id, OLD.terms_id, OLD.address_id)
     OR (OLD.fixed_at IS NOT NULL AND NEW.fixed_at IS DISTINCT FROM OLD.fixed_at) THEN
    RAISE EXCEPTION 'invoice % is quoted once', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_is_quoted_once';
  END IF;
  IF NEW.version < OLD.version OR NEW.bookings < OLD.bookings
     OR (NEW.status <> OLD.status AND NEW.version = OLD.version)
     OR (NEW.credited_to <> OLD.credited_to AND NEW.bookings = OLD.bookings) THEN
    RAISE EXCEPTION 'invoice % goes forwards only', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_goes_forwards';
  END IF;
  IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
       ('created', 'pending'), ('created', 'failed'), ('pending', 'processing'), ('pending', 'failed'),
       ('processing', 'confirmed'), ('processing', 'failed'), ('confirmed', 'processing')) THEN
    RAISE EXCEPTION 'invoice %: % may not become %', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_status_moves_legally';
  END IF;
  IF NEW.status = OLD.status AND NEW.release_at IS DISTINCT FROM OLD.release_at THEN
    RAISE EXCEPTION 'invoice % keeps its time while it is %', OLD.id, OLD.status
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_keeps_its_time';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER invoice_is_guarded BEFORE INSERT OR UPDATE OR DELETE ON payments_invoice
  FOR EACH ROW EXECUTE FUNCTION invoice_is_guarded();

-- What a deposit was to its invoice when it was first seen, it stays.
CREATE FUNCTION invoice_part_is_guarded() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'parts of invoices are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_part_is_never_removed';
  END IF;
  IF (NEW.id, NEW.merchant_id, NEW.invoice_id, NEW.operation_id, NEW.standing, NEW.seen_at)
     IS DISTINCT FROM
     (OLD.id, OLD.merchant_id, OLD.invoice_id, OLD.operation_id, OLD.standing, OLD.seen_at) THEN
    RAISE EXCEPTION 'invoice part % stays what it was seen as', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invoice_part_stays_as_seen';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER invoice_part_is_guarded BEFORE UPDATE OR DELETE ON payments_invoicepart
  FOR EACH ROW EXECUTE FUNCTION invoice_part_is_guarded();

-- Nobody empties these. The sender may write them as it may write operations: where nothing else runs, it works
-- every queue (`manage.py drain`).
REVOKE DELETE, TRUNCATE ON payments_invoice, payments_invoicepart FROM bursar_app, bursar_sender;
