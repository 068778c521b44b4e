-- Bytes that were applied are looked at again when they come again.
CREATE OR REPLACE FUNCTION incoming_callback_moves_legally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN (
       ('received', 'applied'), ('received', 'quarantined'), ('quarantined', 'received'))
     AND NOT (OLD.state = 'applied' AND NEW.state = 'received' AND NEW.is_repeat) THEN
    RAISE EXCEPTION 'incoming callback %: % may not become %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'incoming_callback_moves_legally';
  END IF;
  RETURN NEW;
END $$;
