"""Two results of run.py beside each other."""


def lines(old, new):
    """A line for every number that both have, with new over old."""
    for table, rows in new["tables"].items():
        for name, row in rows.items():
            was = old.get("tables", {}).get(table, {}).get(name, {})
            for column, value in row.items():
                if isinstance(value, (int, float)) and isinstance(was.get(column), (int, float)):
                    ratio = value / was[column] if was[column] else float("nan")
                    yield f"{table}: {name}: {column}: {was[column]:.4g} -> {value:.4g} ({ratio:.2f})"
                elif value != was.get(column) and column in was:
                    yield f"{table}: {name}: {column}: {was[column]} -> {value}"
