"""What people read of a training: the card, the page and its plots."""
