"""What can this machine do: number formats, fast kernels for it, what a run asks of its process."""
