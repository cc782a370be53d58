"""Who tells the robot what a scene is: the simulator's truth, a vision-language model, a file or nobody."""
