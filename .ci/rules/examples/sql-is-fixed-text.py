cursor.execute(f"SELECT {column} FROM t")  # bad
cursor.execute("SELECT * FROM t WHERE id = %s" % given)  # bad
cursor.execute("SELECT * FROM t WHERE id = " + given)  # bad
cursor.execute("SELECT {} FROM t".format(column))  # bad
RawSQL("now() + " + given, [])  # bad
rows.extra(where=["id = 7"])  # bad
def composed(cursor, column):
    text = f"SELECT {column} FROM t"
    cursor.execute(text)  # bad
cursor.execute("SELECT * FROM t WHERE id = %s", [given])
cursor.execute(_CLAIM, [given])
cursor.execute("SELECT *" " FROM t")
cursor.execute(f"SELECT {_COLUMNS} FROM t")  # noqa: S608 - a constant of the module
