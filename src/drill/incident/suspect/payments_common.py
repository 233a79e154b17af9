"""Shared by the payment functions."""


def as_csv(row):
    return f"{row['id']};{row['amount']};{row.get('currency', 'EUR')}"
