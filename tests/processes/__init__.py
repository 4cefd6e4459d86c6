from processes.unneeded import stand_in

stand_in()
