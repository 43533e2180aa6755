"""What the engine and e2e tiers share: real stacks, driven as a user drives them."""
