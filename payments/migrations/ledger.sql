-- The ledger's own rules, for whatever connects: Bursar, a shell, an intruder with the application's role.

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE ON payments_entry
  FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER entry_is_never_emptied BEFORE TRUNCATE ON payments_entry
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER posting_is_append_only BEFORE UPDATE OR DELETE ON payments_posting
  FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER posting_is_never_emptied BEFORE TRUNCATE ON payments_posting
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- A posting's currency is its account's.
ALTER TABLE payments_posting ADD CONSTRAINT posting_currency_is_its_accounts
  FOREIGN KEY (account_id, currency) REFERENCES payments_account (id, currency);

-- All postings of an entry in one INSERT; zero per currency; each kept account's chain continued, and the
-- account already standing where its last posting says.
CREATE FUNCTION posting_is_judged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  culprit text;
BEGIN
  SELECT n.entry_id || ' in ' || n.currency INTO culprit FROM new_postings n
   GROUP BY n.entry_id, n.currency HAVING sum(n.amount) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % does not sum to zero', culprit
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_sums_to_zero';
  END IF;

  SELECT p.entry_id::text INTO culprit FROM payments_posting p
   WHERE p.entry_id IN (SELECT entry_id FROM new_postings)
     AND NOT EXISTS (SELECT 1 FROM new_postings n WHERE n.id = p.id) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % was posted before', culprit
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_is_posted_at_once';
  END IF;

  SELECT n.account_id::text INTO culprit
    FROM (SELECT account_id, seq, amount, balance_after,
                 lag(balance_after) OVER w AS before, lag(seq) OVER w AS seq_before
            FROM new_postings WINDOW w AS (PARTITION BY account_id ORDER BY seq)) n
    JOIN payments_account a ON a.id = n.account_id
    LEFT JOIN payments_posting p ON n.seq_before IS NULL AND p.account_id = n.account_id AND p.seq = n.seq - 1
   WHERE a.kept <> (n.seq IS NOT NULL)
      OR (a.kept AND n.balance_after <> n.amount + COALESCE(n.before, p.balance_after, 0))
      OR (a.kept AND n.seq <> COALESCE(n.seq_before, p.seq, 0) + 1)
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'postings do not continue account %', culprit
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'posting_continues_its_account';
  END IF;

  SELECT a.id::text INTO culprit
    FROM (SELECT DISTINCT ON (account_id) account_id, seq, balance_after FROM new_postings
           WHERE seq IS NOT NULL ORDER BY account_id, seq DESC) n
    JOIN payments_account a ON a.id = n.account_id
   WHERE a.seq <> n.seq OR a.balance <> n.balance_after LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'account % does not stand at its last posting', culprit
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_stands_at_its_last_posting';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER posting_is_judged AFTER INSERT ON payments_posting
  REFERENCING NEW TABLE AS new_postings FOR EACH STATEMENT EXECUTE FUNCTION posting_is_judged();

-- An entry without postings is refused at commit.
CREATE FUNCTION entry_has_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM payments_posting WHERE entry_id = NEW.id) THEN
    RAISE EXCEPTION 'entry % has no postings', NEW.key
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_has_postings';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entry_has_postings AFTER INSERT ON payments_entry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_has_postings();

-- An account is opened empty, keeps its identity, is never removed; its balance and number move together,
-- forwards, and by commit there is the posting that says so.
CREATE FUNCTION account_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'accounts are never removed'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_is_never_removed';
  ELSIF TG_OP = 'INSERT' THEN
    IF NEW.balance <> 0 OR NEW.seq <> 0 THEN
      RAISE EXCEPTION 'an account is opened empty'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_is_opened_empty';
    END IF;
  ELSIF (NEW.id, NEW.merchant_id, NEW.processor_id, NEW.currency, NEW.kind, NEW.kept)
        IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.processor_id, OLD.currency, OLD.kind, OLD.kept) THEN
    RAISE EXCEPTION 'account % keeps its identity', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_keeps_its_identity';
  ELSIF NEW.seq < OLD.seq OR (NEW.seq = OLD.seq AND NEW.balance <> OLD.balance) THEN
    RAISE EXCEPTION 'account % may change only with a posting', OLD.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'balance_changes_with_a_posting';
  END IF;
  RETURN COALESCE(NEW, OLD);
END $$;

CREATE TRIGGER account_is_guarded BEFORE INSERT OR UPDATE OR DELETE ON payments_account
  FOR EACH ROW EXECUTE FUNCTION account_is_guarded();
CREATE TRIGGER account_is_never_emptied BEFORE TRUNCATE ON payments_account
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

CREATE FUNCTION account_has_its_posting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM payments_posting
                  WHERE account_id = NEW.id AND seq = NEW.seq AND balance_after = NEW.balance) THEN
    RAISE EXCEPTION 'account % may change only with a posting', NEW.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'balance_changes_with_a_posting';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER account_has_its_posting AFTER UPDATE ON payments_account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.seq IS DISTINCT FROM OLD.seq)
  EXECUTE FUNCTION account_has_its_posting();

REVOKE UPDATE, DELETE, TRUNCATE ON payments_entry, payments_posting FROM bursar_app, bursar_sender;
REVOKE DELETE, TRUNCATE ON payments_account FROM bursar_app, bursar_sender;
REVOKE UPDATE ON payments_account FROM bursar_app, bursar_sender;
GRANT UPDATE (balance, seq) ON payments_account TO bursar_app, bursar_sender;
