"""How the shipped models come to be: data from the simulator, training commands, model cards."""
