"""What the catalogue is made of; plain values that do no input or output."""
