"""The market: shoppers whose hidden taste reads pixels."""
