"""The image of the lab's nodes, and the stand-in for k3s in it."""
